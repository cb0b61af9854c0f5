#!/usr/bin/python3
"""Breaks a copy of the rules in one place at a time; see tests/support/mutants.py.

    rules_mutants.py SOURCE-FOLDER LIBCORE.A [CC]"""

import pathlib
import sys

import rules_differential

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import mutants  # noqa: E402

MUTANTS = [
    ('mcp/policy.c', 'a kind without a match is open', 'step_rule(w, lines.own) : no_line;',
     'step_rule(w, lines.own) : (struct step){ANSWER_ALLOW, NULL, ""};'),
    ('mcp/policy.c', 'the hub has the last word', 'return lines.own ? worse(hub, step_rule(w, lines.own)) : hub;',
     'return hub;'),
    ('mcp/policy.c', "the service's own line has the last word", 'if (lines.hub == NULL)', 'if (lines.own)'),
    ('mcp/policy.c', "lines of the hub count as the service's own", 'first_match(rules, rules->n_hub, rules->n, &p)',
     'first_match(rules, 0, rules->n, &p)'),
    ('mcp/policy.c', 'a method line skips the kind', 'else if (q->op.kind != RULE_METHOD)',
     'else if (q->op.kind != RULE_METHOD && step.rule == NULL)'),
    ('mcp/policy.c', 'tasks are always on', 'if (op->task && !s->tasks)', 'if (0)'),
    ('mcp/policy.c', 'unknown methods are open', 'if (!op->known)', 'if (0)'),
    ('mcp/policy.c', 'the best answer wins', 'return b.answer > a.answer', 'return b.answer < a.answer'),
    ('mcp/policy.c', 'require of the service is forgotten', 'demands.only_address ? MET :', '1 ? MET :'),
    ('mcp/policy.c', 'without a credential everything is open', 'if (anonymous && !policy_anonymous(s, op))', 'if (0)'),
    ('mcp/policy.c', 'what is unmet asks for scopes', 'return anonymous ? POLICY_SIGN_IN : POLICY_DENY;',
     'return anonymous ? POLICY_SIGN_IN : POLICY_SCOPES;'),
    ('mcp/policy.c', 'list granted is forgotten', 'return s->list_granted ?', 'return 0 ?'),
    ('mcp/policy.c', 'lists show what is unmet', 'answer <= ANSWER_SCOPES', 'answer <= ANSWER_UNMET'),
    ('mcp/policy.c', 'entitlement is not looked at', 'if (entitled == NULL || condition_met', 'if (1 || condition_met'),
    ('mcp/policy.c', 'lists know the arguments', '.any_arguments = true};', '.any_arguments = false};'),
    ('mcp/condition.c', 'absence is no', 't == (c->negated ? NO : YES)', '(t == YES) != c->negated'),
    ('mcp/condition.c', 'not is forgotten', 't == (c->negated ? NO : YES)', 't == YES'),
    ('mcp/condition.c', 'all is any', 'if (one < met)', 'if (one > met)'),
    ('mcp/condition.c', 'the last alternative is named', 'if (one == MET_BUT_SCOPES && met == MET_NOT)',
     'if (one == MET_BUT_SCOPES)'),
    ('mcp/condition.c', 'implied scopes are not held', 'i < scope->n_satisfied_by; i++)\n    if (config_words_have',
     'i < 1; i++)\n    if (config_words_have'),
    ('mcp/condition.c', 'an unknown element is no', 'return a == UNKNOWN || b == UNKNOWN ? UNKNOWN : NO;', 'return NO;'),
    ('mcp/condition.c', 'lists have an order', 'if (c->op != OP_EQUAL && c->op != OP_IN)\n    return UNKNOWN;\n  enum truth t',
     'enum truth t'),
    ('mcp/condition.c', 'dot segments match', '!pattern_value_plain(text)', '0'),
    ('mcp/condition.c', 'less or equal is less', 'return truth_of(order <= 0);', 'return truth_of(order < 0);'),
    ('mcp/condition.c', 'an unverified address counts', 'if (verified && !json_is_true(verified))', 'if (0)'),
    ('mcp/condition.c', 'domains have domains below', 'if (str_iis(domain, domains->v[i]))',
     'if (str_ends(domain, domains->v[i]))'),
    ('mcp/condition.c', 'require asks nobody for an address', 'c->kind != CONDITION_ADDRESS && w->only_address',
     'w->only_address'),
    ('mcp/condition.c', 'booleans are the other way', "(words->v[i][0] == 't') == value", "(words->v[i][0] == 'f') == value"),
    ('config/pattern.c', 'globs match what is not plain', 'if (!plain || item.n < p->prefix', 'if (item.n < p->prefix'),
    ('config/pattern.c', 'the end is looked for in the wrong place', '.least = p->text.n - stars,',
     '.least = p->text.n,'),
    ('config/pattern.c', 'a glob need not end', '!cut_back(&s, str_slice(glob, last, glob.n))', '0'),
    ('config/pattern.c', 'a star crosses into the query', 'u = str_chr(uri, \'?\');', 'u = g < glob.n ? str_chr(uri, \'?\') : uri.n;'),
    ('config/pattern.c', 'dot segments are plain', '!str_is(name, ".") && !str_is(name, "..")', '1'),
    ('config/pattern.c', 'escapes are plain', 'return !unreserved(c) && c > 0x1f', 'return 1 || c > 0x1f'),
    ('config/pattern.c', 'user names are plain', "if (str_chr(a, '@') < a.n)", 'if (0)'),
    ('config/pattern.c', 'default ports are plain', 'number == 443 &&', '0 &&'),
    ('config/pattern.c', 'file has a host', 'return a.n == 0; /*', 'return true; /*'),
    ('config/bind_condition.c', 'not stays above any', 'any != negated ? CONDITION_ANY', 'any ? CONDITION_ANY'),
    ('config/bind_condition.c', 'not not is not', '&rest, !negated, ret)', '&rest, true, ret)'),
    ('config/bind_rules.c', 'all lines are the hub\'s', 'ret->n_hub = ret->n;', 'ret->n_hub = n;'),
    ('config/bind_rules.c', 'order is that of kinds', 'if (source->n)\n    qsort', 'if (0)\n    qsort'),
    ('util/decimal.c', 'exponents are not read', 'd.top = place + exponent;', 'd.top = place;'),
    ('util/decimal.c', 'digits end early', 'while (x.n || y.n) {', 'while (x.n && y.n) {'),
    ('mcp/gate_value.c', 'a name may stand twice', 'names > 1 &&', '0 &&'),
]
QUESTIONS = 60000

if __name__ == '__main__':
    batch = list(rules_differential.rounds(QUESTIONS, 2))
    sys.exit(mutants.run(MUTANTS, 'policy-eval.c', lambda program: rules_differential.compare(program, batch),
                         *sys.argv[1:]))
