"""One module per stage of dvc.yaml: read parameters, call the packages, write outputs."""
