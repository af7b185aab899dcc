"""State of a host as data: resources, probes, templates, roles and plans. Text in, text out."""
