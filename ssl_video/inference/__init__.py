"""Use of networks: accuracy, predictions, sensitivity to the order of frames."""
