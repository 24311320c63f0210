"""Twelve sessions whose metrics are known, and what `split` and `evaluate` print for them."""

from __future__ import annotations

CLICK_LISTS = ["abac", "abd", "bca", "ab", "cd", "dcb", "bd", "cab", "abc", "acb", "bad", "xab"]

SPLIT_NOTES = """\
using sessions clicks (sessions/clicks)
leak check: all 4 items of the training vocabulary are in training sessions
leak check: none of the 3 held-out sessions has the id of a training session
leak check: 0 of 3 held-out sessions of 3 items or more equal a training session item by item
leak check: all training events are before the end of every held-out session
"""
EVALUATE_NOTES = """\
using sessions clicks-time (sessions/clicks-time)
split time:share=0.25: 9 training sessions, 3 in the test part
leak check: all 4 items of the training vocabulary are in training sessions
leak check: none of the 3 held-out sessions has the id of a training session
leak check: 0 of 3 held-out sessions of 3 items or more equal a training session item by item
leak check: all training events are before the end of every held-out session
protocol next: the next item after every prefix of every held-out session; 6 test cases
all 4 items ranked; ties conservative; seen items kept; unknown targets count as misses
"""

# acb, bad and xab are held out; training counts are b 8, a 7, c 6, d 4, so the ranks of the six targets are 3 1 2 4 2 1
POPULAR_TABLE = """\
hit_rate	0.3333	0.8333
precision	0.3333	0.2778
recall	0.3333	0.8333
mrr	0.3333	0.5556
map	0.3333	0.5556
ndcg	0.3333	0.6270
r_precision	0.3333	0.3333
popularity	1.0000	0.8750
novelty	1.6439	1.8464
coverage	0.2500	0.7500
gini	0.7500	0.2500
diversity		0.2485
"""
