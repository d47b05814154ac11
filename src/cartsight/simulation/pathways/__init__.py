"""Scenario to program: the pathway of a patient and of a lot under each modality, and the table they leave behind."""

from cartsight.simulation.pathways.build import build_model
from cartsight.simulation.pathways.flow import ArmFlow, compile_arm, run_flow
from cartsight.simulation.pathways.load import ArmLoad, check_arm
from cartsight.simulation.pathways.patients import Window, generate_patients, observation_window

__all__ = [
    "ArmFlow",
    "ArmLoad",
    "Window",
    "build_model",
    "check_arm",
    "compile_arm",
    "generate_patients",
    "observation_window",
    "run_flow",
]
