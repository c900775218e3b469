"""The stages of dvc.yaml, one module each: read parameters, call the packages, write outputs."""
