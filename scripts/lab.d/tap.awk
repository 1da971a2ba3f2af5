# SPDX-License-Identifier: GPL-2.0
# Judge the output of one test program, which ended with exit status STATUS.
# Prints "PASSED FAILED SKIPPED", then a line for whatever the TAP lines do not
# tell by themselves.

/^1\.\.[0-9]+/ {
	planned = 1
	plan = substr($1, 4) + 0
	skip_all = plan == 0 && /# *SKIP/
}
/^ok /		{ if (/# *SKIP/) skipped++; else passed++ }
/^not ok /	{ failed++ }

function complain(text)
{
	reasons = reasons text "\n"
}

END {
	seen = passed + failed + skipped
	if (status == 124 || status == 137 || status == 143)
		complain("ran out of time")
	else if (status == 125)
		complain("took the test VM with it")
	else if (status > 128)
		complain("died of signal " status - 128)
	if (skip_all)
		skipped++
	else if (!planned)
		complain("printed no test plan")
	else if (seen != plan)
		complain("ended after " seen " of " plan " tests")
	if (reasons == "" && !failed && status != 0 && status != 4)
		complain("exit status " status)
	if (reasons != "")
		failed++
	printf "%d %d %d\n%s", passed, failed, skipped, reasons
}
