"""Feature maps of specs, and of functions of many structures at a time."""

from atomplete.audit.feature_map import FeatureMap
from atomplete.audit.subjects.of_descriptor import Choices, SpecSubject
from atomplete.audit.subjects.subject import Subject


class Described(Subject):
    """A function from structures to an array (structure, feature)."""

    name = "function"

    def __init__(self, function):
        self.function = function

    def describe(self, structures, scope):
        return [row[None] for row in self.function(structures)]


def of_spec(spec, template, level="environment", group="O3"):
    subject = SpecSubject(spec.type, spec.model_dump(), Choices(group=group))
    return FeatureMap(subject, template, level, spec.cutoff)


def of_function(function, template, level="environment"):
    return FeatureMap(Described(function), template, level, 2.0)
