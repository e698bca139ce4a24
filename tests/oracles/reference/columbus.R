# Maximum likelihood of the spatial models on the Columbus data by R's spatialreg, written to columbus_r.json.
# Run in this folder: Rscript columbus.R      needs spatialreg, spdep, jsonlite
suppressPackageStartupMessages({library(spatialreg); library(spdep); library(jsonlite)})

data <- read.csv("columbus.csv")
links <- read.csv("columbus_weights.csv")
n <- nrow(data)
A <- matrix(0, n, n)
A[cbind(links$i, links$j) + 1] <- links$w
lw <- mat2listw(A, style = "W")
W <- listw2mat(lw)
form <- CRIME ~ INC + HOVAL

named <- function(x) as.list(x)
# impacts() of a lag model is the list of three itself; of SLX and SDEM it sits in $impacts, beside its standard errors
point_impacts <- function(im) {
  if (!is.null(im$impacts)) im <- im$impacts
  lapply(im[c("direct", "indirect", "total")], function(v) as.list(setNames(as.numeric(v), c("INC", "HOVAL"))))
}
linear <- function(fit) list(coef = named(coef(fit)), se = named(sqrt(diag(vcov(fit)))), sigma2 = sum(residuals(fit)^2) / n,
                             loglik = as.numeric(logLik(fit)))
spatial <- function(fit) {
  out <- list(coef = named(fit$coefficients), se = named(setNames(fit$rest.se, names(fit$coefficients))), sigma2 = fit$s2, loglik = as.numeric(logLik(fit)))
  if (!is.null(fit$rho)) out <- c(out, list(rho = unname(fit$rho), rho_se = unname(fit$rho.se)))
  if (!is.null(fit$lambda)) out <- c(out, list(lambda = unname(fit$lambda), lambda_se = unname(fit$lambda.se)))
  out
}
with_impacts <- function(out, im) c(out, list(impacts = point_impacts(im)))

sar <- lagsarlm(form, data, lw, method = "eigen")
sem <- errorsarlm(form, data, lw, method = "eigen")
sdm <- lagsarlm(form, data, lw, Durbin = TRUE, method = "eigen")
sdem <- errorsarlm(form, data, lw, Durbin = TRUE, method = "eigen")
sac <- sacsarlm(form, data, lw, method = "eigen")
slx <- lmSLX(form, data, lw)

rho <- c(-0.9, -0.5, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99)
env <- new.env()
assign("listw", lw, envir = env); assign("can.sim", can.be.simmed(lw), envir = env); assign("verbose", FALSE, envir = env)
assign("family", "SAR", envir = env); assign("n", n, envir = env)
eigen_setup(env)

statistic <- function(t) list(stat = unname(as.numeric(t$statistic)), p = as.numeric(t$p.value))
moran <- function(randomisation) {
  t <- moran.test(data$CRIME, lw, randomisation = randomisation, alternative = "two.sided")
  c(statistic(t), named(setNames(t$estimate, c("I", "expectation", "variance"))))
}
lm_of <- function(fit) lapply(lm.LMtests(fit, lw, test = "all")[c("LMerr", "LMlag", "RLMerr", "RLMlag", "SARMA")], statistic)
lagged <- create_WX(model.matrix(form, data), lw, prefix = "lag")
lr <- function(full, restricted) { t <- LR.Sarlm(full, restricted); c(statistic(t), list(df = unname(t$parameter))) }
hausman <- function(fit) { t <- Hausman.test(fit); c(statistic(t), list(df = unname(t$parameter))) }

out <- list(
  programs = list(R = R.version.string, spatialreg = as.character(packageVersion("spatialreg")), spdep = as.character(packageVersion("spdep"))),
  OLS = linear(lm(form, data)),
  SLX = with_impacts(linear(slx), impacts(slx)),
  SAR = with_impacts(spatial(sar), impacts(sar, listw = lw)),
  SEM = spatial(sem),
  SDM = with_impacts(spatial(sdm), impacts(sdm, listw = lw)),
  SDEM = with_impacts(spatial(sdem), impacts(sdem)),
  SAC = with_impacts(spatial(sac), impacts(sac, listw = lw)),
  logdet = list(rho = rho, value = sapply(rho, function(r) do_ldet(r, env))),
  moran = list(normality = moran(FALSE), randomisation = moran(TRUE)),
  lm_tests = lm_of(lm(form, data)),
  lm_tests_slx = lm_of(lm(CRIME ~ INC + HOVAL + lagged, data)),
  lr = list(SAR_SDM = lr(sdm, sar), SEM_SDM = lr(sdm, sem), SEM_SDEM = lr(sdem, sem), SAR_SAC = lr(sac, sar), SEM_SAC = lr(sac, sem)),
  hausman = list(OLS_SEM = hausman(sem), SLX_SDEM = hausman(sdem))
)
write(toJSON(out, digits = NA, auto_unbox = TRUE, pretty = TRUE), "columbus_r.json")
