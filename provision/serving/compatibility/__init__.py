"""Compatibility: whether image, driver, GPU, model and flags fit together; pure knowledge."""
