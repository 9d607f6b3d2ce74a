"""The views of a clip: the choice of frames and their augmentation."""
