"""Running, scheduling and recording the stages of dvc.yaml."""
