"""The response session: roles, judgements and criteria, and the response to treatment that follows from them."""
