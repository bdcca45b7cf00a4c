"""Training: the Lightning module, what happens at each epoch's end, and `fit`, which runs the whole job."""
