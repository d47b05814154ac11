"""Study 1C: plants for in vivo CAR-T against demand, redosing and durability, and the tests worth starting now."""
