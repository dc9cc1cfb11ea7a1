"""From signed readings to a monitoring period's total: methodologies, rules, statements, verification."""
