"""What an operator says about a fleet: hosts, groups and settings, read from one YAML file."""
