"""From bare GPU hosts to validated LLM services, over plain SSH."""
