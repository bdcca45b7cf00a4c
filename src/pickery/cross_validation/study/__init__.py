"""Who trains what: an Optuna study that gives each training to one worker, and the workers that are alive."""
