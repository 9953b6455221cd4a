"""Synthetic cancer patients with full ground truth: anatomy, disease over time, scanners, three modalities.

>>> from oncotrack.phantom import make_patient
>>> patient = make_patient(7, visits=2, size=(96, 96, 48))
>>> patient.visits[1].image.array.shape
(48, 96, 96)
"""

from oncotrack.phantom.insert import insert, warp
from oncotrack.phantom.patient import Patient, Visit, make_patient
from oncotrack.phantom.patient_files import write_patient
from oncotrack.phantom.truth import Instance, Truth, VisitTruth

__all__ = ["Instance", "Patient", "Truth", "Visit", "VisitTruth", "insert", "make_patient", "warp", "write_patient"]
