// RapidCheck within googletest: RC_GTEST_PROP(Subject, SituationAndResult, (arguments)) { RC_ASSERT(...); }
// A failure prints the smallest counterexample and the RC_PARAMS with which it comes again.
#pragma once

#include <gtest/gtest.h>

// after gtest.h, whose names it uses without including it
#include <rapidcheck/gtest.h>
