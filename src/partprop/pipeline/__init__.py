"""What runs, schedules and records the stages."""
