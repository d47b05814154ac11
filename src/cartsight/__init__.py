"""Foresight for CAR-T: simulate every patient from referral to outcome, cost and payment, for every modality."""

__version__ = "0.1.0"
