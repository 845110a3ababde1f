"""The vocabulary of the referee: what probes read, by name, and what it tells a person.

A reading is a number in ``log.jsonl`` under ``probe/<name>``. Probes write readings, rules and curves read them.
"""

PREFIX = "probe/"

# Read at every step from what turns return anyway; a log line holds the mean since the one before.
OUTCOMES = {
    "auc": "Probability that D scores a real above a fake. 0.5: it cannot tell them apart, 1: it never errs.",
    "real_sign": "Mean sign of D's score of reals, -1 to 1; near 1 for long: it may know them by heart.",
    "logit_gap": "How far D's scores of reals and of fakes lie apart, in their pooled standard deviation.",
    "logit_size": "Largest absolute score that D gave in a batch.",
    "fake_gradient": "Length of the gradient that reaches a fake through G's loss. Near zero: G is told nothing.",
}

# Read at a look: fixed seeds by the averaged weights, beside as many reals.
SAMPLES = {
    "diversity": "How much samples of different seeds differ, over how much reals do. Towards zero: mode collapse.",
    "diversity_raw": "The same of the live weights; far from the averaged one's: the run swings.",
    "duplicates": "Share of samples nearer to another sample than 99 of 100 reals are to any other real.",
    "coverage": "Share of reals with a sample among their neighbours, over what other reals reach; 1 is all.",
    "coverage_worst": "The same for the cluster of the data that is covered least.",
    "modes_missing": "How many clusters of the data, or classes where these are more, samples leave out.",
    "modes_kl": "Divergence of the samples' clusters from the data's, beyond chance, in nats.",
    "distance": "Fréchet distance to reals in a few principal components; 0 as good as reals, 1 as the data's mean.",
    "distance_raw": "The same of the live weights.",
    "colour_drift": "How far the samples' mean colours lie from the data's, in its standard deviations.",
    "copies": "Share of samples nearer to a training sample than that is to its like, beyond what fresh data is.",
    "nearest_ratio": "Median distance to the nearest training sample over that to the nearest held-out; 1: no copies.",
    "travel": "Net over total path of the live weights' fixed-seed samples in 8 looks; near 0: circles.",
    "step_size": "How far the live weights' fixed-seed samples moved since the last look, over how much they differ.",
    "class_hit": "Share of samples that look most like the class asked for, over what reals reach; 1 is all.",
}

# Read at a look from D, on samples that no weight sees move.
JUDGES = {
    "train_auc": "Probability that D scores a training sample above a held-out one. 0.5: it has learnt none by heart.",
    "slope": "Mean length of D's gradient at reals; a Wasserstein critic's should be about 1.",
}

# Read at a look from the weights.
WEIGHTS = {
    "spectral_growth": "Largest factor by which the top singular value of a layer has grown since the first look.",
    "effective_rank": "Least share of the effective rank of a layer of D that is left, of the most it had.",
    "update": "Distance that the live weights of G travelled since the last look, over their length.",
    "update_judge": "The same of D.",
}

READINGS = {**OUTCOMES, **SAMPLES, **JUDGES, **WEIGHTS}
