"""Train CMPL in a plain PyTorch loop.

The library builds the networks, cuts the clips and computes the loss. The loop, the optimizer and the device
are yours.

    python examples/plain_torch_loop.py --steps 400
"""

import argparse

import torch

import ssl_video as sv


def train(algorithm: sv.Algorithm, data: sv.LabeledData, steps: int) -> None:
    """Train an algorithm on a data set, with AdamW and a cosine schedule."""
    optimizer = torch.optim.AdamW(algorithm.parameters(), lr=3e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    algorithm.train()
    for batch, progress in data.batches(algorithm, labeled=8, unlabeled=16, steps=steps):
        output = algorithm(batch, progress)
        output.loss.backward()
        torch.nn.utils.clip_grad_norm_(algorithm.parameters(), 5.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        algorithm.after_step(progress)
        if schedule.last_epoch % max(1, steps // 10) == 0:
            terms = ", ".join(f"{name} {term.item():.3f}" for name, term in output.terms.items())
            print(f"step {schedule.last_epoch} of {steps}: {terms}")


def main() -> None:
    """Train on the demo clips, and print the accuracy of both networks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    torch.manual_seed(0)
    data = sv.load_data("demo", protocol="per-class:4", frames=8, stride=2, size=32)
    print(data)
    algorithm = sv.create("cmpl", data=data, threshold=0.8).to(given.device)
    train(algorithm, data, given.steps)
    for name, scores in sv.evaluate(algorithm, data).items():
        print(f"{name}: top-1 {100 * scores['top1']:.1f} %")
    torch.save(algorithm.primary.state_dict(), "primary.pt")


if __name__ == "__main__":
    main()
