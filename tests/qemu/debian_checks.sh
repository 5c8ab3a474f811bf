#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# debian_checks.sh FILE DIRECTORY: runs the checks of the file, each in a new
# directory, two at a time, and prints what they print and their status.
export LC_ALL=C TZ=UTC HOME=/root
file=$1 workers=2
cd "$2" || exit

work() { # NUMBER: every second check
	local n=0 status
	while IFS= read -r line; do
		[[ $line == \#* || -z $line ]] && continue
		n=$((n + 1))
		[ $((n % workers)) = "$1" ] || continue
		mkdir $n
		cd $n || exit
		printf '== %s\n' "$line"
		timeout -k 1 300 bash -c "$line" </dev/null >"../output$1" 2>&1
		status=$?
		cat -v "../output$1"
		printf -- '-> %s\n' $status
		cd ..
		rm -rf $n
	done <"$file"
}

for ((i = 0; i < workers; i++)); do
	work $i >"all$i" &
done
wait
cat all*
