"""The sections of `Health`: of each the sh that reads it and the parser of what that prints."""
