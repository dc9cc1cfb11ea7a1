"""Plants that speak Modbus, the lockstep driver and the demo."""
