"""`pickery report`: what a run's folder holds, as one page that explains itself."""
