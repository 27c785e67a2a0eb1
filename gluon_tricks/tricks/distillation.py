"""Knowledge distillation (§5.3): a student learns from labels and from a teacher's softened outputs.

With p the target, z the student's logits, r the teacher's, l(p, q) = - sum p log q:

    paper, Eq. 6:  l(p, softmax(z)) + T^2 l(softmax(r / T), softmax(z / T))                 both terms weigh 1
    GluonCV:       h l(p, softmax(z)) + (1 - h) T^2 l(softmax(r / T), softmax(z / T))
                   h = `--hard-weight`, 0.5

At h = 0.5 GluonCV's loss and gradient are half the paper's. T = 20 in both. The teacher sees the student's
augmented and mixed images. (Eq. 3 of the paper has - sum q log p, a misprint.)
"""

from mxnet.gluon import HybridBlock


class DistillationLoss(HybridBlock):
    """Loss per sample, shape (N,).

    Its inputs, each of shape (N, classes): the student's logits; the targets, rows of probabilities; the
    teacher's logits.

    Parameters
    ----------
    temperature : float > 0
        T of both softmaxes.
    hard_weight, soft_weight : float
        Weights of the label term and of the teacher term. GluonCV: h and 1 - h; paper: 1 and 1.
    """

    def __init__(self, temperature=20.0, hard_weight=0.5, soft_weight=None, **kwargs):
        super().__init__(**kwargs)
        if temperature <= 0:
            raise ValueError(f"temperature must be positive, got {temperature}")
        self.temperature, self.hard_weight = temperature, hard_weight
        self.soft_weight = 1 - hard_weight if soft_weight is None else soft_weight

    def hybrid_forward(self, F, logits, targets, teacher_logits):
        t = self.temperature
        hard = -F.sum(targets * F.log_softmax(logits), axis=-1)
        soft = -F.sum(F.softmax(teacher_logits / t) * F.log_softmax(logits / t), axis=-1)
        return self.hard_weight * hard + self.soft_weight * t * t * soft
