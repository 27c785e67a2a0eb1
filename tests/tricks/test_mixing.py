"""Images put together from several, against pixel-by-pixel loops; the label weights are the shares of the
pixels.
"""

import math

import numpy as np
import pytest
from mxnet import nd

from gluon_tricks.randomness import generator
from gluon_tricks.tricks.cutmix import cutmix_pieces
from gluon_tricks.tricks.mixing import ALPHAS, KINDS, mix
from gluon_tricks.tricks.patchwork import Piece, patchwork, shares
from gluon_tricks.tricks.ricap import ricap_pieces
from gluon_tricks.tricks.spatial_mixup import stitch_pieces, tile_pieces

H, W, N = 7, 10, 5


def labelled(n=N, height=H, width=W):
    """Image i has the value i everywhere, and the label i: a result's pixels tell where they come from."""
    data = np.arange(n, dtype=np.float32).reshape(n, 1, 1, 1) * np.ones((1, 2, height, width), np.float32)
    return nd.array(data), nd.array(np.eye(n))


def shares_seen(mixed, n=N):
    """For each result the share of pixels of each value."""
    return np.stack([[(image[0] == k).mean() for k in range(n)] for image in mixed.asnumpy()])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", [kind for kind in KINDS if "mixup" not in kind])
def test_labels_are_the_shares_of_the_pixels(kind, seed):
    mixed, told = mix(kind, *labelled(), ALPHAS[kind], generator(seed))
    np.testing.assert_allclose(told.asnumpy(), shares_seen(mixed), atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", KINDS)
def test_label_weights_sum_to_1_and_means_agree(kind, seed):
    mixed, told = mix(kind, *labelled(), ALPHAS[kind], generator(seed))
    np.testing.assert_allclose(told.sum(axis=1).asnumpy(), 1, rtol=1e-5)
    # an image's mean value is the mean label, for interpolation too
    np.testing.assert_allclose(mixed.mean(axis=(1, 2, 3)).asnumpy(), told.asnumpy() @ np.arange(N), rtol=1e-4,
                               atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_draws_give_the_same_images(kind):
    first, second = (mix(kind, *labelled(), ALPHAS[kind], generator(7, 1))[0].asnumpy() for _ in range(2))
    np.testing.assert_array_equal(first, second)


# --- each geometry ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("lam", [0.0, 0.26, 0.5, 1.0])
@pytest.mark.parametrize("direction", ["horizontal", "vertical"])
def test_stitching_keeps_the_first_rows_or_columns_and_takes_the_rest_of_the_partner(direction, lam):
    rng = np.random.default_rng(0)
    data, targets = rng.random((4, 3, H, W), np.float32), np.eye(4, dtype=np.float32)
    own, partner = np.arange(4), np.arange(4)[::-1]
    mixed, told = patchwork(nd.array(data), nd.array(targets), stitch_pieces(direction, lam, H, W),
                            [own, partner])
    length = W if direction == "horizontal" else H
    kept = round(lam * length)
    for i in range(4):
        for y in range(H):
            for x in range(W):
                source = i if (x if direction == "horizontal" else y) < kept else 3 - i
                assert (mixed.asnumpy()[i, :, y, x] == data[source, :, y, x]).all()
        np.testing.assert_allclose(told.asnumpy()[i], kept / length * targets[i]
                                   + (1 - kept / length) * targets[3 - i], rtol=1e-6)


def test_partners_are_reversed_in_pairs_unless_asked_otherwise():
    told = mix("vertical", *labelled(), 1.0, generator(1))[1].asnumpy()
    assert all(set(np.flatnonzero(row)) <= {i, N - 1 - i} for i, row in enumerate(told))
    random = mix("vertical", *labelled(), 1.0, generator(1), "random")[1].asnumpy()
    assert not all(set(np.flatnonzero(row)) <= {i, N - 1 - i} for i, row in enumerate(random))


def test_tiles_stay_in_their_places_and_meet_in_one_point():
    pieces = tile_pieces(0.3, 0.8, 10, 20)
    assert [p[:4] for p in pieces] == [(0, 0, 3, 16), (0, 16, 3, 4), (3, 0, 7, 16), (3, 16, 7, 4)]
    assert all((p.from_top, p.from_left) == (p.top, p.left) for p in pieces)
    np.testing.assert_allclose(shares(pieces, 10, 20), [0.3 * 0.8, 0.3 * 0.2, 0.7 * 0.8, 0.7 * 0.2])


def test_ricap_cuts_from_anywhere_inside():
    draws = np.array([[0.0, 0.999], [0.5, 0.5], [0.999, 0.0], [0.2, 0.9]])
    for lam_height, lam_width in ((0.0, 1.0), (0.31, 0.62)):
        pieces = ricap_pieces(lam_height, lam_width, draws, H, W)
        for piece in pieces:
            assert 0 <= piece.from_top <= H - piece.height and 0 <= piece.from_left <= W - piece.width
        assert pieces[0].from_left == W - pieces[0].width and pieces[2].from_top == H - pieces[2].height
        assert sum(p.height * p.width for p in pieces) == H * W
    mixed, _ = patchwork(*labelled(), pieces, [[0, 1, 2, 3, 4], [1] * 5, [2] * 5, [3] * 5])
    assert mixed.asnumpy()[4, 0].tolist() == [[4] * 6 + [1] * 4] * 2 + [[2] * 6 + [3] * 4] * 5


@pytest.mark.parametrize("row, column", [(3, 5), (0, 0), (6, 9)])
@pytest.mark.parametrize("lam", [0.0, 0.4, 1.0])
def test_cutmix_lays_a_clipped_box_over(lam, row, column):
    pieces = cutmix_pieces(lam, row, column, H, W)
    h, w = int(H * math.sqrt(1 - lam)), int(W * math.sqrt(1 - lam))
    covered = sum(row - h // 2 <= y < row + h // 2 and column - w // 2 <= x < column + w // 2
                  for y in range(H) for x in range(W))
    np.testing.assert_allclose(shares(pieces, H, W), [1 - covered / (H * W), covered / (H * W)])


def test_cutmix_as_coded_keeps_the_weight_that_was_drawn():
    for seed in range(20):
        (mixed, as_meant), (same, as_coded) = (mix("cutmix", *labelled(), 1.0, generator(seed),
                                                   cutmix_label=label)
                                               for label in ("area", "drawn"))
        lam = generator(seed).beta(1.0, 1.0)
        np.testing.assert_array_equal(mixed.asnumpy(), same.asnumpy())
        moved = [i for i, row in enumerate(as_coded.asnumpy()) if (row > 0).sum() == 2]
        np.testing.assert_allclose(as_coded.asnumpy()[moved, moved], lam, rtol=1e-5)
        assert (as_meant.asnumpy()[moved, moved] > lam - 0.15).all()  # clipping and whole pixels leave more


def test_an_uncovered_pixel_is_an_error():
    with pytest.raises(ValueError, match="1 of 4 pixels"):
        shares([Piece.in_place(0, 0, 2, 1), Piece.in_place(0, 1, 1, 1)], 2, 2)
