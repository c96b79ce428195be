"""A matrix's variants: the product, what is left out and added, and names that stay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebuilder.domain.matrix import Matrix, MatrixRefused, Variant, variants_of

AXES = {"nginx.port": ("80", "8080"), "architecture": ("amd64", "arm64")}


def names(matrix: Matrix) -> list[str]:
    return [variant.name for variant in variants_of(matrix)]


def test_variants_without_matrix_are_one_without_name() -> None:
    assert variants_of(None) == (Variant(),)


def test_variants_are_the_product_in_the_order_written() -> None:
    assert names(Matrix(axes=AXES)) == ["80-amd64", "80-arm64", "8080-amd64", "8080-arm64"]


def test_variants_when_some_are_excluded_and_others_included() -> None:
    found = variants_of(
        Matrix(
            axes=AXES,
            exclude=({"architecture": "arm64"}, {"nginx.port": "80", "architecture": "amd64"}),
            include=({"nginx.port": "443"}, {"nginx.port": "8080", "architecture": "amd64"}),
        )
    )

    assert [v.name for v in found] == ["8080-amd64", "443"]
    assert found[1].settings == {"nginx.port": "443"}


def test_variants_are_called_by_the_architecture_that_a_pool_builds() -> None:
    axes = {"pool": ("build.amd64", "gpu"), "a.b": ("build.x",)}
    assert names(Matrix(axes=axes)) == ["amd64-build.x", "gpu-build.x"]


def test_variants_of_included_alone_are_those() -> None:
    assert names(Matrix(include=({"a.b": "X y"},))) == ["x-y"]


@pytest.mark.parametrize(
    ("matrix", "reason"),
    [
        (Matrix(), "Nothing is left"),
        (Matrix(axes=AXES, exclude=({},)), "Nothing is left"),
        (Matrix(axes={"a.b": ("x y", "x-y")}), "Two variants would be called x-y"),
        (Matrix(axes={"a.b": ("--",)}), "gives no name"),
        (Matrix(axes={"a.b": tuple(map(str, range(257)))}), "257 variants; 256"),
    ],
)
def test_variants_when_the_matrix_cannot_be_used_says_why(matrix: Matrix, reason: str) -> None:
    with pytest.raises(MatrixRefused) as caught:
        variants_of(matrix)
    assert reason in caught.value.context


@given(st.sets(st.integers(0, 99).map(str), min_size=1, max_size=12), st.integers(100, 200))
def test_variants_keep_their_names_when_a_value_is_added(values: set[str], more: int) -> None:
    axes = {"a.b": tuple(sorted(values)), "c.d": ("x", "y")}
    larger = {**axes, "a.b": (*axes["a.b"], str(more))}

    assert set(names(Matrix(axes=axes))) < set(names(Matrix(axes=larger)))
