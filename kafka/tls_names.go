package kafka

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// nameRules make names of the subjects of certificates: Kafka's ssl.principal.mapping.rules (SslPrincipalMapper).
type nameRules []nameRule

// nameRule is one: RULE:pattern/replacement/[LU], or DEFAULT if there is no pattern.
type nameRule struct {
	pattern     *regexp.Regexp // of all of the subject
	replacement string
	letters     func(string) string // to upper or lower case; nil for neither
}

var (
	ruleSplitter = regexp.MustCompile(`\s*((DEFAULT)|RULE:((?:\\.|[^\\/])*)/((?:\\.|[^\\/])*)/([LU]?))\s*(?:,\s*|$)`)
	defaultRules = nameRules{{}}
)

// parseNameRules reads rules with commas between them; "" is DEFAULT.
func parseNameRules(text string) (nameRules, error) {
	var rules nameRules
	for rest := strings.TrimSpace(text); rest != ""; {
		m := ruleSplitter.FindStringSubmatchIndex(rest)
		if m == nil || m[0] != 0 {
			return nil, fmt.Errorf("DEFAULT and RULE:pattern/replacement/[LU], with commas between them, from %q on", rest)
		}
		part := func(i int) string {
			if m[2*i] < 0 {
				return ""
			}
			return rest[m[2*i]:m[2*i+1]]
		}
		var r nameRule
		if part(2) == "" {
			var err error
			if r.pattern, err = regexp.Compile("^(?:" + part(3) + ")$"); err != nil {
				return nil, fmt.Errorf("a pattern: %w", err)
			}
			r.replacement = part(4)
			r.letters = map[string]func(string) string{"L": strings.ToLower, "U": strings.ToUpper}[part(5)]
		}
		rules = append(rules, r)
		rest = rest[m[1]:]
	}
	if rules == nil {
		rules = defaultRules
	}
	return rules, nil
}

// of returns the name that the first rule which matches makes of a subject; false if none does.
func (rules nameRules) of(subject string) (string, bool) {
	for _, r := range rules {
		if r.pattern == nil {
			return subject, true
		}
		if m := r.pattern.FindStringSubmatch(subject); m != nil {
			name := expand(r.replacement, m, r.pattern)
			if r.letters != nil {
				name = r.letters(name)
			}
			return name, true
		}
	}
	return "", false
}

// expand fills the groups of a match into a replacement, as Java does: $1, ${name}, and \ before what is itself. Of $12 the first digits
// count for which there is a group; where there is none it stands for itself.
func expand(replacement string, groups []string, pattern *regexp.Regexp) string {
	var b strings.Builder
	for i := 0; i < len(replacement); i++ {
		c := replacement[i]
		switch {
		case c == '\\' && i+1 < len(replacement):
			i++
			b.WriteByte(replacement[i])
		case c == '$' && strings.HasPrefix(replacement[i+1:], "{") && strings.Contains(replacement[i:], "}"):
			name := replacement[i+2 : i+strings.IndexByte(replacement[i:], '}')]
			if n := pattern.SubexpIndex(name); n >= 0 {
				b.WriteString(groups[n])
			}
			i += len(name) + 2
		case c == '$':
			end := i + 1
			for end < len(replacement) && replacement[end] >= '0' && replacement[end] <= '9' {
				if n, err := strconv.Atoi(replacement[i+1 : end+1]); err != nil || n >= len(groups) {
					break
				}
				end++
			}
			if end == i+1 {
				b.WriteByte('$')
				continue
			}
			n, _ := strconv.Atoi(replacement[i+1 : end])
			b.WriteString(groups[n])
			i = end - 1
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
