"""What finished runs tell beyond their accuracies."""
