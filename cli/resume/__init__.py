"""How a later attempt continues an earlier one."""
