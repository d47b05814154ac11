"""Scenario to program: the pathway of a patient and of a lot under each modality, and the table they leave behind."""
