#!/bin/sh
# Fetches Java archives through Maven, once:
#
#	jars.sh DIR SUMS GROUP:ARTIFACT:VERSION[:CLASSIFIER]…
#
# DIR gets the archives, with what they depend on; those with a classifier hold that themselves. It
# appears only when everything is there and is, byte for byte, what SUMS says (sha256sum's form).
# Needs Java, mvn and sha256sum.
set -eu
umask 077
if [ $# -lt 3 ]; then
	sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
	exit 2
fi
dir=$1 sums=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
shift 2
[ ! -d "$dir" ] || exit 0
for need in java mvn sha256sum; do
	command -v "$need" >/dev/null || {
		echo "jars.sh: $need is not installed (on Debian: apt-get install openjdk-17-jre-headless maven)" >&2
		exit 1
	}
done
mkdir -p "$(dirname "$dir")"
work=$(mktemp -d "$dir.XXXXXX")
trap 'rm -rf "$work"' EXIT
{
	echo '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
	echo '<groupId>ledgerline</groupId><artifactId>jars</artifactId><version>1</version><dependencies>'
	for coordinate; do
		IFS=: read -r group artifact version classifier <<EOF
$coordinate
EOF
		echo "<dependency><groupId>$group</groupId><artifactId>$artifact</artifactId><version>$version</version>"
		if [ -n "$classifier" ]; then
			echo "<classifier>$classifier</classifier>"
			echo '<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>'
		fi
		echo '</dependency>'
	done
	echo '</dependencies></project>'
} >"$work/pom.xml"
mvn -q -B -f "$work/pom.xml" dependency:copy-dependencies -DoutputDirectory="$work/lib" >"$work/mvn.log" 2>&1 || {
	tail -n 20 "$work/mvn.log" >&2
	exit 1
}
[ "$(ls "$work/lib" | wc -l)" -eq "$(wc -l <"$sums")" ] && (cd "$work/lib" && sha256sum --quiet --strict -c "$sums") >&2 || {
	echo "jars.sh: what Maven fetched is not what $sums says" >&2
	exit 1
}
# Renaming makes it whole or absent.
mv "$work/lib" "$dir" 2>/dev/null || [ -d "$dir" ]
