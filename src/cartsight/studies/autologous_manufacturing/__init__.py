"""Study 1A: which manufacturing model makes autologous CAR-T viable at scale."""
