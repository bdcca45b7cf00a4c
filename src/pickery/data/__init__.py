"""From prepared micrographs and picks to minibatches: split, labelled regions, what to cut, patches on the device."""
