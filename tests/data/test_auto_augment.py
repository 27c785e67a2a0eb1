"""AutoAugment: the policy against the paper's table, its draws against their probabilities, operations
against formulas.
"""

from collections import Counter

import numpy as np
import pytest

from gluon_tricks.data.auto_augment import (
    OPERATIONS,
    POLICY,
    apply_operations,
    auto_augment,
    sample_operations,
)
from gluon_tricks.data.imagenet_augment import ImagenetTrainTransform
from gluon_tricks.data.photographs import Decoded

# Cubuk et al. 2018, Table 9, a letter and two figures per operation: probability x 10 (A: 1.0), magnitude
TABLE_9 = """P48 R69|S65 A65|E88 E63|P67 P66|E47 S24|E44 R88|S63 E67|P85 EA2|R23 S68|E68 P46|R88 C40|R49 E62|
             E07 E88|I64 EA8|C64 OA8|R88 CA2|C88 S87|H47 I68|X65 EA9|C40 E63|E47 S24|S65 A65|I64 EA8|C64 OA8|
             E88 E63"""
LETTERS = {"P": "Posterize", "R": "Rotate", "S": "Solarize", "A": "AutoContrast", "E": "Equalize",
           "C": "Color", "I": "Invert", "O": "Contrast", "H": "Sharpness", "X": "ShearX"}


def picture(height=40, width=52, seed=0):
    smooth = np.random.default_rng(seed).normal(size=(height + 8, width + 8, 3)).cumsum(0).cumsum(1)
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    return (40 + 170 * smooth[4:-4, 4:-4]).astype(np.uint8)


def test_the_policy_is_table_9_but_for_one_magnitude():
    table = [tuple((LETTERS[word[0]], int(word[1].replace("A", "10")) / 10, int(word[2]))
                   for word in row.split())
             for row in TABLE_9.split("|")]
    assert len(table) == 25
    differing = [(ours, theirs) for ours, theirs in zip(POLICY, table) if ours != theirs]
    assert differing == [((("Rotate", 0.8, 8), ("Color", 1.0, 0)), (("Rotate", 0.8, 8), ("Color", 1.0, 2)))]


def test_operations_are_drawn_with_their_probabilities():
    rng, draws = np.random.default_rng(1), 40_000
    drawn = Counter(name for _ in range(draws) for name, _ in sample_operations(rng))
    for name in LETTERS.values():
        chances = [probability for policy in POLICY for operation, probability,
                   _ in policy if operation == name]
        expected = draws * sum(chances) / len(POLICY)
        assert abs(drawn[name] - expected) < 5 * expected**0.5, name


def test_shear_and_rotation_go_to_either_side():
    rng = np.random.default_rng(2)
    signs = Counter(magnitude > 0 for _ in range(20_000) for name,
                    magnitude in sample_operations(rng) if name == "Rotate")
    assert abs(signs[True] - signs[False]) < 5 * sum(signs.values()) ** 0.5
    assert all(magnitude >= 0 for _ in range(2000) for name, magnitude in sample_operations(rng)
               if name not in ("Rotate", "ShearX"))


def reference(name, x, m):
    """Pixel-wise operations written again, in integers where Pillow's are."""
    if name == "Invert":
        return 255 - x
    if name == "Solarize":
        return np.where(x < 256 - int(m * 256 / 10), x, 255 - x)
    if name == "Posterize":
        dropped = 8 - (4 - int(m * 4 / 10))
        return x >> dropped << dropped
    if name == "AutoContrast":
        low, high = x.min((0, 1)), x.max((0, 1))
        return np.clip((x - low) * 255.0 / (high - low), 0, 255).astype(int)
    grey = (x @ [299, 587, 114]) / 1000                              # ITU-R 601
    factor = 0.1 + 1.8 * m / 10
    about = int(grey.mean() + 0.5) if name == "Contrast" else grey[..., None]
    return np.clip(about + factor * (x - about), 0, 255)


@pytest.mark.parametrize("name", ["Invert", "Solarize", "Posterize", "AutoContrast", "Color", "Contrast"])
@pytest.mark.parametrize("magnitude", [0, 4, 8, 9])
def test_pixel_operations_equal_their_formulas(name, magnitude):
    image = picture()
    got = apply_operations(image, [(name, magnitude)]).astype(float)
    exact = name in ("Invert", "Solarize", "Posterize")
    np.testing.assert_allclose(got, reference(name, image.astype(int), magnitude), atol=0 if exact else 2.1)


def test_equalize_flattens_the_histogram():
    counts = np.histogram(apply_operations(picture(), [("Equalize", 0)])[..., 0], bins=8, range=(0, 256))[0]
    assert counts.max() < 1.5 * counts.mean() and np.histogram(picture()[..., 0], bins=8,
                                                               range=(0, 256))[0].min() < 100


def test_shear_and_rotation_move_a_spot_as_they_should():
    image = np.zeros((41, 41, 3), np.uint8)
    image[30, 20] = 255

    def spot(operation):
        return np.array(np.unravel_index(apply_operations(image, [operation])[..., 0].argmax(), (41, 41)))

    # 0.3 x 30 rows
    assert tuple(spot(("ShearX", 10))) == (30, 11) and tuple(spot(("ShearX", -10))) == (30, 29)
    assert tuple(spot(("Rotate", 9))) == (29, 25)
    assert tuple(spot(("Rotate", -9))) == (29, 15)      # 27 degrees about the centre


def test_an_operation_keeps_type_and_shape_and_the_image_itself():
    image = picture()
    before = image.copy()
    for name in OPERATIONS:
        changed = apply_operations(image, [(name, 5)])
        assert changed.shape == image.shape and changed.dtype == np.uint8
    assert (image == before).all() and apply_operations(image, []) is image


def test_what_happens_to_a_record_depends_on_seed_epoch_and_record_alone():
    images = [picture(seed=seed) for seed in range(6)]
    transform = ImagenetTrainTransform(3, 32, auto_aug=True)
    together = transform(images, range(6), epoch=1)
    alone = np.concatenate([transform([images[i]], [i], epoch=1) for i in reversed(range(6))])[::-1]
    assert (together == alone).all() and not (together == transform(images, range(6), epoch=2)).all()


def test_it_comes_before_the_crop():
    """With the same generator: the transform without AutoAugment of the image that AutoAugment made."""
    image = picture()
    for seed in range(8):
        rng, other = np.random.default_rng(seed), np.random.default_rng(seed)
        got = ImagenetTrainTransform(0, 32, auto_aug=True).one(Decoded(image), rng)
        assert (got == ImagenetTrainTransform(0, 32).one(Decoded(auto_augment(image, other)), other)).all()
