#!/bin/sh
# Checks the words and links of comments, messages and documents: `sh tests/prose.sh [PATH...]`. It fails on a word of
# tests/prose_words.txt, unless tests/prose_allowed.txt allows it there, and on a link to a file or heading that does not exist.
# It prints FILE:LINE, the word and what to write instead.
set -eu
cd "$(dirname "$0")/.."
export LC_ALL=C
{
  sed '/^#/d; /^$/d; s/^/word /' tests/prose_words.txt
  sed '/^#/d; /^$/d; s/^/allowed /' tests/prose_allowed.txt
  git ls-files -co --exclude-standard | sed 's/^/file /'
  git ls-files -co --exclude-standard -- "${@:-.}" | grep -vE '^tests/(golden/.*\.md|prose\.sh)$' |
    grep -E '\.(h|cpp|cu|def|md|cmake|sh|py)$|CMakeLists\.txt$|^\.ci/run$' | sed 's/^/check /'
} | awk '
function say(what) { print name ":" line ": " what; failed = 1 }

# What people read in a line: the comments and strings of C++, but not the strings of tests; the comments and docstrings of
# scripts; Markdown without code.
function prose(s,   text, quotes) {
  if (kind == "md") {
    if (s ~ /^ *```/) fenced = !fenced
    gsub(/`[^`]*`/, "`", s)
    return fenced || s ~ /^       / ? "" : s
  }
  if (kind == "py" && ((quotes = gsub(/"""/, "", s)) || fenced)) { fenced = (fenced + quotes) % 2; return s }
  if (kind != "c++") return match(s, /(^|[ \t])# /) ? substr(s, RSTART + RLENGTH) : ""
  if (s ~ /seed_(names|subset)/) return s
  for (; match(s, /\/\/|"([^"\\]|\\.)*"/); s = substr(s, RSTART + RLENGTH)) {
    if (substr(s, RSTART, 1) == "/") return text substr(s, RSTART + 2)
    if (name !~ /^tests/) text = text substr(s, RSTART + 1, RLENGTH - 2) " | "
  }
  return text
}

# `before` holds the last two words of the line above, where a phrase may begin.
function check_words(text,   i, at) {
  text = before " " tolower(text) " "
  gsub(/[ \t]+/, " ", text)
  for (i = 1; i <= places; ++i)
    if (place[i] == "*" || index(name, place[i]) == 1)
      while (at = index(text, phrase[i])) text = substr(text, 1, at - 1) "`" substr(text, at + length(phrase[i]))
  for (i = 1; i <= rules; ++i)
    for (at = 1; match(substr(text, at), "[^a-z_.-]" rule[i] "[^a-z_-]"); at += RLENGTH - 1) {
      at += RSTART - 1
      if (at + RLENGTH - 2 > length(before)) say("\"" substr(text, at + 1, RLENGTH - 2) "\": " instead[i])
    }
  before = match(text, / [^ ]+ [^ ]+ $/) ? substr(text, RSTART, RLENGTH - 1) : text
}

function check_links(s,   n, part, doc, anchor) {
  for (n = split(s, part, /\]\(/); n > 1; --n) {
    sub(/[) ].*/, "", part[n])
    doc = part[n]
    if (doc ~ /^[a-z]+:/) continue
    anchor = sub(/#.*/, "", doc) ? substr(part[n], length(doc) + 1) : ""
    doc = doc == "" ? name : folder doc
    while (sub(/[^\/]+\/\.\.(\/|$)/, "", doc)) {}
    sub(/\/$/, "", doc)
    if (doc != "" && !(doc in exists)) say("\"" part[n] "\": no such file")
    else if (anchor != "" && doc ~ /md$/ && !(doc anchor in heading)) say("\"" part[n] "\": no such heading")
  }
}

# Notes a file, its folders and the anchors that GitHub gives the headings of a document.
function read_file(path,   doc, s, code) {
  doc = path
  do exists[path]; while (sub(/\/[^\/]*$/, "", path))
  for (; doc ~ /\.md$/ && (getline s < doc) > 0;) {
    if (s ~ /^ *```/) code = !code
    if (code || !sub(/^#+ +/, "", s)) continue
    gsub(/[]!-,.\/:-@[\\^`{-~]/, "", s)
    gsub(/ /, "-", s)
    s = doc "#" tolower(s)
    heading[s (count[s]++ ? "-" count[s] - 1 : "")]
  }
  close(doc)
}

{ key = $1; sub(/^[a-z]+ /, "") }
key == "word" { rule[++rules] = instead[rules] = $0; sub(/ = .*/, "", rule[rules]); sub(/.* = /, "", instead[rules]) }
key == "allowed" { place[++places] = $1; sub(/^[^ ]+ +/, ""); phrase[places] = tolower($0) }
key == "file" { read_file($0) }
key == "check" {
  name = folder = $0; line = fenced = 0; before = ""
  if (!sub(/[^\/]*$/, "", folder)) folder = ""
  kind = name ~ /\.(h|cpp|cu|def)$/ ? "c++" : substr(name, length(name) - 1)
  for (; (getline text < name) > 0; before = text == "" ? "" : before) {
    ++line
    text = prose(text)
    if (kind == "md") check_links(text)
    gsub(/\]\([^)]*\)/, "]", text)
    if (text != "") check_words(text)
  }
  close(name)
}
END { if (!failed) print "prose: ok"; exit failed }'
