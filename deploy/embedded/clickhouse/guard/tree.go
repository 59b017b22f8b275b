package guard

import (
	"fmt"
	"strconv"
	"strings"
)

// node is one of the engine's own syntax tree, as EXPLAIN AST prints it: a node a line, children
// one space further in, and their number behind it.
type node struct {
	text     string
	children []*node
}

// parseTree reads the lines strictly: each node has exactly the children that it says it has, and
// nothing is left over. So nothing that a client wrote into a name can add, hide or move a node.
func parseTree(s string) (*node, error) {
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	root, rest, err := parseNode(lines, 0)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d lines behind the tree", len(rest))
	}
	return root, err
}

func parseNode(lines []string, depth int) (*node, []string, error) {
	if len(lines) == 0 {
		return nil, nil, fmt.Errorf("the tree ends early")
	}
	line := lines[0]
	text := strings.TrimLeft(line, " ")
	if len(line)-len(text) != depth || text == "" {
		return nil, nil, fmt.Errorf("a line at the wrong depth")
	}
	if depth > maxTreeDepth {
		return nil, nil, fmt.Errorf("the tree is too deep")
	}
	n := &node{text: text}
	lines = lines[1:]
	count := 0
	if i := strings.LastIndex(text, " (children "); i >= 0 && strings.HasSuffix(text, ")") {
		k, err := strconv.Atoi(text[i+len(" (children ") : len(text)-1])
		if err != nil || k < 1 {
			return nil, nil, fmt.Errorf("a number of children that is none")
		}
		n.text, count = strings.TrimRight(text[:i], " "), k
	}
	for range count {
		var child *node
		var err error
		if child, lines, err = parseNode(lines, depth+1); err != nil {
			return nil, nil, err
		}
		n.children = append(n.children, child)
	}
	return n, lines, nil
}

// The engine's own parser stops at a depth of 1000, of which some levels are several nodes deep.
const maxTreeDepth = 10_000

// is says that the node is of a kind. Behind the kind a node's text may have a name.
func (n *node) is(kind string) bool {
	return n.text == kind || strings.HasPrefix(n.text, kind+" ")
}

// name is what stands behind the kind, without the alias.
func (n *node) name(kind string) string {
	s := strings.TrimSpace(strings.TrimPrefix(n.text, kind))
	if i := strings.LastIndex(s, " (alias "); i >= 0 && strings.HasSuffix(s, ")") {
		s = s[:i]
	}
	return s
}

func (n *node) alias() string {
	if i := strings.LastIndex(n.text, " (alias "); i >= 0 && strings.HasSuffix(n.text, ")") {
		return n.text[i+len(" (alias ") : len(n.text)-1]
	}
	return ""
}

// any says that the node or one below it fulfils f.
func (n *node) any(f func(*node) bool) bool {
	if f(n) {
		return true
	}
	for _, c := range n.children {
		if c.any(f) {
			return true
		}
	}
	return false
}
