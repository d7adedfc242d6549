// Package browsertest uses the console as people do, in a browser: each story is a function of testdata/stories.mjs, which
// playwright-core has Debian's chromium play. axe-core looks at each page, and each page is photographed for the
// documentation.
//
// install.sh, in this directory, installs these. A test that misses one is skipped and says so, or fails when the
// environment has SAMSA_CLIENTS=required.
package browsertest
