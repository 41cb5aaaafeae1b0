from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, SerializeAsAny, ValidationError

from atomplete.config import checked
from atomplete.errors import InputError
from atomplete.registry import Registered, Spec, build, kind_named, registered, spec_field


class Shape(Registered):
    pass


class CircleSpec(Spec):
    type: Literal["circle"] = "circle"
    radius: float = 1.0


class Circle(Shape, spec=CircleSpec):
    def __init__(self, spec, scale=1.0):
        super().__init__()
        self.spec, self.scale = spec, scale


class Options(BaseModel):
    shape: Annotated[SerializeAsAny[Spec], spec_field(Shape)] = CircleSpec()


def test_a_class_is_found_by_kind_and_type():
    assert registered(Shape, "circle") == (CircleSpec, Circle)
    assert kind_named("shape") is Shape
    built = build(CircleSpec(radius=2.0), scale=3.0)
    assert (built.spec.radius, built.scale) == (2.0, 3.0)


def test_what_is_unknown_is_refused_in_one_sentence():
    with pytest.raises(InputError, match=r"^shape 'square' is none of 'circle'$"):
        registered(Shape, "square")
    with pytest.raises(InputError, match=r"^a solid is nothing that this version knows$"):
        kind_named("solid")
    with pytest.raises(TypeError, match="Spec is the spec of no class"):
        build(Spec(type="circle"))


def test_a_class_defined_anew_takes_the_place_of_the_old_one_and_another_does_not():
    def again():
        class SquareSpec(Spec):
            type: Literal["square"] = "square"

        class Square(Shape, spec=SquareSpec):
            pass

        return Square

    again()
    newer = again()
    assert registered(Shape, "square")[1] is newer
    with pytest.raises(TypeError, match="Other: Circle is the shape of type 'circle'"):

        class Other(Shape, spec=CircleSpec):
            pass


def test_a_field_of_any_spec_reads_plain_data_and_writes_it():
    options = Options.model_validate({"shape": {"type": "circle", "radius": 2}})
    assert options.shape == CircleSpec(radius=2.0)
    assert Options.model_validate_json(options.model_dump_json()) == options
    assert Options(shape=options.shape) == options


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"shape": {"type": "line"}}, "x: option shape.type = 'line' is none of 'circle'"),
        ({"shape": {"radius": 1}}, "x: option shape.type is missing"),
        ({"shape": {"type": "circle", "radius": "far"}}, "x: option shape.radius = 'far' should"),
        ({"shape": {"type": "circle", "width": 1}}, "x: unknown option shape.width"),
        ({"shape": 3}, "x: option shape = 3 should be the spec of a shape"),
    ],
)
def test_a_field_of_any_spec_says_where_plain_data_is_wrong(content, message):
    with pytest.raises(InputError, match=message):
        checked(Options, content, "x")


def test_a_spec_of_another_kind_is_refused():
    with pytest.raises((InputError, ValidationError)):
        Options(shape=Spec(type="line"))
