"""Finding out what is wrong with a log, saying it in words, and putting it right as far as that can be done.

Looking changes nothing. A repair keeps a copy of the log first, takes nothing away that it does not keep
aside, and leaves each thread at the last state that can be read whole.
"""

from dashflow.doctor.diagnosis import DAMAGE, NOTE, Diagnosis, Finding, Repaired
from dashflow.doctor.examine import examine
from dashflow.doctor.repair import repair

__all__ = ("DAMAGE", "NOTE", "Diagnosis", "Finding", "Repaired", "examine", "repair")
