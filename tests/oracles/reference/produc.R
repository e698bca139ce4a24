# Random effects, Lagrange-multiplier and Hausman tests on Munnell's states by R's plm and splm, written to produc_r.json.
# Run in this folder: Rscript produc.R      needs plm, splm, spdep, jsonlite
suppressPackageStartupMessages({library(plm); library(splm); library(spdep); library(jsonlite)})

package <- file.path("..", "..", "..", "engine", "_root", "data")
data <- read.csv(file.path(package, "munnell.csv"))
data <- transform(data, lgsp = log(gsp), lpcap = log(pcap), lpc = log(pc), lemp = log(emp))
states <- read.csv(file.path(package, "states.csv"))
A <- t(sapply(strsplit(states$neighbours, ";"), function(near) as.numeric(states$state %in% near)))
lw <- mat2listw(A, style = "W")
form <- lgsp ~ lpcap + lpc + lemp + unemp
panel <- pdata.frame(data, c("state", "year"))

linear <- function(fit) list(coef = as.list(coef(fit)), se = as.list(sqrt(diag(vcov(fit)))))
random <- function(lag) {
  fit <- spml(form, panel, listw = lw, model = "random", lag = lag, spatial.error = "none")
  out <- list(coef = as.list(fit$coefficients), phi = unname(fit$errcomp["phi"]), loglik = as.numeric(fit$logLik))
  if (lag) c(out, list(rho = unname(fit$arcoef))) else out
}
statistic <- function(t) list(stat = unname(as.numeric(t$statistic)), p = as.numeric(t$p.value))
chi2 <- function(t) c(statistic(t), list(df = unname(t$parameter)))
lm_tests <- function(...) {
  tests <- c(lm_error = "lme", lm_lag = "lml", robust_lm_error = "rlme", robust_lm_lag = "rlml")
  lapply(tests, function(test) statistic(slmtest(form, panel, listw = lw, test = test, ...)))
}

within <- plm(form, panel, model = "within", effect = "individual")
gls <- plm(form, panel, model = "random", effect = "individual")
both <- lapply(c("within", "random"), function(model) plm(form, panel, model = model, effect = "twoways"))
out <- list(
  programs = list(R = R.version.string, plm = as.character(packageVersion("plm")), splm = as.character(packageVersion("splm")),
                  spdep = as.character(packageVersion("spdep"))),
  random = list(OLS = random(FALSE), SAR = random(TRUE)),
  lm_tests = list(none = lm_tests(model = "pooling"), unit = lm_tests(model = "within", effect = "individual"),
                  period = lm_tests(model = "within", effect = "time"), twoway = lm_tests(model = "within", effect = "twoways")),
  hausman = list(hausman_individual = chi2(phtest(within, gls)), hausman_twoways = chi2(phtest(both[[1]], both[[2]])),
                 splm_lag = chi2(sphtest(form, panel, listw = lw, spatial.model = "lag", method = "ML"))),
  plm = list(within_individual = linear(within), random_individual = c(linear(gls), list(sigma2 = as.list(ercomp(gls)$sigma2))))
)
write(toJSON(out, digits = NA, auto_unbox = TRUE, pretty = TRUE), "produc_r.json")
