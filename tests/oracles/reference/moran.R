# Moran's I, global and local, of CRIME on the Columbus data by R's spdep, written to moran_r.json.
# Run in this folder: Rscript moran.R      needs spdep, jsonlite
# The weights: row (contiguity, row-standardised), binary (contiguity), directed (a rule that drops and weighs its links: asymmetric in
# pattern and values, rows of any sum), islands (binary without the links of unit 4 and without those that leave unit 11, from 0).
suppressPackageStartupMessages({library(spdep); library(jsonlite)})

data <- read.csv("columbus.csv")
links <- read.csv("columbus_weights.csv")
n <- nrow(data)
listw <- function(kept, w, style) {
  A <- matrix(0, n, n)
  A[cbind(links$i, links$j)[kept, ] + 1] <- w[kept]
  mat2listw(A, style = style)
}
whole <- rep(TRUE, nrow(links))
weights <- suppressWarnings(list(
  row = listw(whole, links$w, "W"),
  binary = listw(whole, links$w, "B"),
  directed = listw((links$i + 2 * links$j) %% 5 != 0, 1 + (3 * links$i + links$j) %% 4, "B"),
  islands = listw(links$i != 4 & links$j != 4 & links$i != 11, links$w, "B")
))
stopifnot(length(unique(unlist(weights$directed$weights))) == 4)  # the values came through

global <- function(lw, randomisation, alternative, adjust.n = TRUE) {
  t <- moran.test(data$CRIME, lw, randomisation = randomisation, alternative = alternative, adjust.n = adjust.n, zero.policy = TRUE)
  c(as.list(setNames(t$estimate, c("I", "expected", "variance"))), list(z = unname(t$statistic), p = unname(t$p.value)))
}
laws <- function(lw, ...) list(
  randomisation = sapply(c("greater", "less", "two.sided"), function(a) global(lw, TRUE, a, ...), simplify = FALSE),
  normality = sapply(c("greater", "less", "two.sided"), function(a) global(lw, FALSE, a, ...), simplify = FALSE)
)
local <- function(lw, conditional, alternative = "two.sided") {
  t <- localmoran(data$CRIME, lw, conditional = conditional, alternative = alternative, zero.policy = TRUE)
  out <- as.list(setNames(as.data.frame(unclass(t)[, 1:5]), c("I", "expected", "variance", "z", "p")))
  if (conditional) out$quadrant <- as.character(attr(t, "quadr")$pysal)
  out
}

out <- list(
  programs = list(R = R.version.string, spdep = as.character(packageVersion("spdep"))),
  global = c(lapply(weights, laws), list(islands_counted = laws(weights$islands, adjust.n = FALSE))),
  local = lapply(weights, function(lw) list(
    conditional = local(lw, TRUE), unconditional = local(lw, FALSE),
    p_greater = local(lw, TRUE, "greater")$p, p_less = local(lw, TRUE, "less")$p
  ))
)
write(toJSON(out, digits = NA, auto_unbox = TRUE, na = "null"), "moran_r.json")
