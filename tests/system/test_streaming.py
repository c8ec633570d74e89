# SPDX-License-Identifier: MIT
"""phos eval streaming at a small size.

With true parameters intervals of 90 % cover about that much and nothing decodes better; the fitted
streaming posterior covers nearly as much and is at least as good as ridge on the newest volume at
every delay; what a decoder cannot say is null; the same seed gives the same numbers; plots are
written.
"""
import json
import os
import subprocess
import sys
import tempfile

PHOS = os.path.abspath(sys.argv[1])


def check(condition, what):
    if not condition:
        sys.exit('FAILED: ' + what)


def compare(folder, kind, *more):
    done = subprocess.run([PHOS, 'eval', 'streaming', '--kind', kind, '--latents', '4', '--voxels',
                           '60', '--train', '480', '--test', '400', '--trials', '50', '--test-trials',
                           '60', '--json', *more], cwd=folder, capture_output=True, text=True)
    check(done.returncode == 0, kind + ': ' + done.stderr)
    return json.loads(done.stdout)['tables'][0]


def check_kind(folder, kind):
    table = compare(folder, kind, '--out', 'report')
    rows = {row['decoder']: row for row in table['decoders']}
    bound = rows['true parameters (bound)']
    fitted = rows['streaming posterior, full noise, tempered']
    newest = rows['ridge, newest volume']
    check(.85 < bound['coverage90'][-1] < .95, '%s: coverage %r' % (kind, bound))
    check(all(.8 < c < .96 for c in fitted['coverage90']), '%s: coverage %r' % (kind, fitted))
    check(all(f >= n - .02 for f, n in zip(fitted['r'], newest['r'])), '%s: %r' % (kind, rows))
    for row in rows.values():
        check(all(r is None or r <= b + .06 for r, b in zip(row['r'], bound['r'])),
              '%s: better than the bound: %r' % (kind, row))
    check(os.path.getsize(os.path.join(folder, 'report', kind + '.png')) > 1000, 'plot of ' + kind)
    return table, rows


with tempfile.TemporaryDirectory() as work:
    table, rows = check_kind(work, 'slow')
    check(rows['FIR ridge, last 8 volumes']['r'][0] is None, 'eight volumes at delay 0')
    check(compare(work, 'slow') == table, 'the same seed')
    check(compare(work, 'slow', '--seed', '1') != table, 'another seed')
    check_kind(work, 'soa8')
    done = subprocess.run([PHOS, 'eval', 'streaming', '--kind', 'soa9'], capture_output=True)
    check(done.returncode == 2, 'an unknown kind')
