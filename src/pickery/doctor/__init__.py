"""`pickery doctor`: what a training would meet, told before it starts, with the settings that mend what is wrong."""
