"""Training of the pyramid and of the tracker."""
