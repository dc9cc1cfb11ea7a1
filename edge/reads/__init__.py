"""What is asked of the meters and when: plan, what refusals teach, circuit breakers, one sample a slot."""
